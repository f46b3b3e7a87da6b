package redisstore

// Slot is where the store believes that a Cluster keeps a key.
var Slot = slot
