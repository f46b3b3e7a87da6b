package redisthrottle_test

import (
	"testing"
	"time"

	"github.com/pawlauth/pawl/internal/throttle"
	"github.com/pawlauth/pawl/internal/throttle/redisthrottle"
	"github.com/pawlauth/pawl/internal/throttle/throttletest"
)

// BenchmarkRedis is a login's three calls, 64 logins at a time.
func BenchmarkRedis(b *testing.B) {
	client := dialReal(b)
	store := redisthrottle.New(client, redisthrottle.Options{})
	free := throttle.Rate{Burst: 1_000_000, Every: time.Millisecond}
	patient, err := throttle.ParseSchedule("5:30s,10:60s,20:5m,50:1h,100:24h")
	if err != nil {
		b.Fatal(err)
	}
	b.SetParallelism(32)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		lane := throttle.Lane{Account: throttletest.NewAccount()}
		buckets := []throttle.Bucket{{Key: "bench:{" + lane.Account + "}", Rate: free}}
		for pb.Next() {
			if v, err := store.Spend(b.Context(), buckets); err != nil || !v.Allowed() {
				b.Fatalf("Spend: got %v and error %v", v, err)
			}
			if v, err := store.Charge(b.Context(), lane, patient); err != nil || !v.Allowed() {
				b.Fatalf("Charge: got %v and error %v", v, err)
			}
			if err := store.Uncharge(b.Context(), lane, patient); err != nil {
				b.Fatalf("Uncharge: %v", err)
			}
		}
	})
}
