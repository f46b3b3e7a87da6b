package server

// Translated is what the tests of the package try with any address.
var Translated = translated
