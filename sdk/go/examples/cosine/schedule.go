// Half a cosine wave down from the peak, after a straight line up to it.
package main

import "math"

var (
	maxLR       = number("max_lr", 0.1, "Learning rate at the end of the warm-up.")
	minLR       = number("min_lr", 0, "Learning rate of the end of the run.")
	warmupSteps = number("warmup_steps", 0, "Steps in which the rate rises from 0 in a straight line.")
)

//go:wasmexport learning_rate
func learningRate(step uint64) float64 {
	s, n := float64(step), float64(totalSteps())
	if s < warmupSteps {
		return maxLR * ((s + 1) / warmupSteps)
	}
	t := min((s-warmupSteps)/max(n-warmupSteps, 1), 1)
	// cos² of the half angle is 0.5 * (1 + cos(pi * t)) without its cancellation near the end of the run: all languages
	// agree to a few units in the last place.
	c := math.Cos(t * (math.Pi / 2))
	return minLR + (maxLR-minLR)*(c*c)
}
