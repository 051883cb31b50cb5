// The round-trip time and the retransmission timeout, by the estimator of RFC 6298.
//
// Times in this directory are integers in nanoseconds, as those of the Rust library, so that both
// compute the same. A number holds 104 days of them exactly.

export const MILLISECOND = 1e6;
export const SECOND = 1e9;

// The timeout before the first sample (RFC 6298, 2.1).
const FIRST_TIMEOUT = SECOND;
// The clock granularity G of RFC 6298: the timeout is at least this much longer than the round trip.
const GRANULARITY = MILLISECOND;
// The longest sample and timeout (RFC 6298, 2.5). A longer sample comes from a machine that slept, and
// says nothing about the network.
const LONGEST_SAMPLE = 60 * SECOND;

export class RoundTrip {
  #smoothed = null;
  #variation = 0;

  // Adds a measured round trip (RFC 6298, 2.2 and 2.3, with alpha 1/8 and beta 1/4). By Karn's rule,
  // the caller measures no datagram that it sent twice.
  sample(time) {
    const sample = Math.min(time, LONGEST_SAMPLE);
    if (this.#smoothed === null) {
      [this.#smoothed, this.#variation] = [sample, Math.floor(sample / 2)];
      return;
    }
    const difference = Math.abs(this.#smoothed - sample);
    this.#variation = Math.floor((this.#variation * 3 + difference) / 4);
    this.#smoothed = Math.floor((this.#smoothed * 7 + sample) / 8);
  }

  // Returns the smoothed round-trip time, or null before the first sample.
  smoothed() {
    return this.#smoothed;
  }

  // Returns the time after which an answer counts as lost. The caller sets the lower bound.
  timeout() {
    if (this.#smoothed === null) {
      return FIRST_TIMEOUT;
    }
    return Math.min(this.#smoothed + Math.max(GRANULARITY, this.#variation * 4), LONGEST_SAMPLE);
  }
}

// Returns `first`, doubled `times` times, but at most `max`.
export function doubled(first, times, max) {
  return Math.min(first * 2 ** Math.min(times, 64), max);
}
