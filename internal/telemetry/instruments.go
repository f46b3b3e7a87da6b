package telemetry

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// other is the label of a word that nobody announced, so that a bug elsewhere
// shows and no label can be anything but a word of this program.
const other = "other"

// counters is one counter for each word of a list that is never written again:
// adding is a look-up and an atomic increment.
type counters map[string]prometheus.Counter

// newCounters makes a counter for each word, all at zero, so that a rate is
// right from the first event on.
func newCounters(r *prometheus.Registry, name, help, label string, words []string) counters {
	vec := prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, []string{label})
	r.MustRegister(vec)
	c := make(counters, len(words)+1)
	for _, word := range append(words, other) {
		c[word] = vec.WithLabelValues(word)
	}
	return c
}

func (c counters) add(word string) {
	counter, known := c[word]
	if !known {
		counter = c[other]
	}
	counter.Inc()
}

// buckets reach from a refresh on a fast network to a store that hangs.
func buckets() []float64 {
	return []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5}
}

func newHistogram(r *prometheus.Registry, name, help string) prometheus.Histogram {
	h := prometheus.NewHistogram(prometheus.HistogramOpts{Name: name, Help: help, Buckets: buckets()})
	r.MustRegister(h)
	return h
}

// operations is what is measured of each kind of question to one store.
type operations map[string]operation

type operation struct {
	took   prometheus.Observer
	failed prometheus.Counter
}

// newOperations makes pawl_SUBJECT_duration_seconds and pawl_SUBJECT_errors_total.
func newOperations(r *prometheus.Registry, subject, label string, words []string) operations {
	took := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "pawl_" + subject + "_duration_seconds", Help: "Time until the " + subject + " answered, or did not.", Buckets: buckets(),
	}, []string{label})
	failed := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "pawl_" + subject + "_errors_total", Help: "Times that the " + subject + " did not answer.",
	}, []string{label})
	r.MustRegister(took, failed)
	o := make(operations, len(words)+1)
	for _, word := range append(words, other) {
		o[word] = operation{took.WithLabelValues(word), failed.WithLabelValues(word)}
	}
	return o
}

// observe counts one question. err is nil where it was answered.
func (o operations) observe(word string, took time.Duration, err error) {
	op, known := o[word]
	if !known {
		op = o[other]
	}
	op.took.Observe(took.Seconds())
	if err != nil {
		op.failed.Inc()
	}
}
