//! Seeded histories of sealed members against the chat and the seals of the server, without sockets and
//! with a virtual clock.
//!
//! The network loses, repeats, reorders, delays and cuts, members change their addresses and resume, and
//! an epoch has a few datagrams only. An attacker on the path sees every datagram and sends what it
//! likes. In each history:
//!
//! - Everybody in the room gets one order, nothing lost, repeated or changed ([`support`]).
//! - No number is used twice with a key, and no text, name, token, room or secret can be read in what
//!   travels for a sealed member ([`watcher`]).
//! - The attacker has no effect but counters, and the server sends no more bytes to an address that is
//!   not proved than came from there ([`attacker`]).
//!
//! `REACTOR_CHAT_SEED` replays one history, and `REACTOR_CHAT_STEPS` sets the number of steps.

mod attacker;
mod client;
mod server;
#[path = "../support/mod.rs"]
mod support;
mod tally;
mod watcher;
mod world;

use std::thread;

use support::random::{number_from_environment, seed_to_replay};
use tally::Tally;
use world::World;

/// Steps in all. A step is a datagram that arrives, a line, a request, or a change of an address.
const STEPS: u64 = 1_000_000;

/// Prints the seed of a history that fails.
struct Seed(u64);

impl Drop for Seed {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("the history that failed: REACTOR_CHAT_SEED={}", self.0);
        }
    }
}

fn play(seed: u64) -> Tally {
    let _seed = Seed(seed);
    let mut world = World::new(seed);
    world.run();
    world.check(seed)
}

/// Plays every `stride`th history from `seed` on, until they have so many steps.
fn play_some(seed: u64, stride: usize, steps: u64) -> Tally {
    let mut all = Tally::default();
    for seed in (seed..).step_by(stride) {
        all.add(&play(seed));
        if all.count("step") >= steps {
            break;
        }
    }
    all
}

#[test]
fn e5_e6_e8_e10_sealed_histories() {
    if let Some(seed) = seed_to_replay() {
        assert_eq!(play(seed), play(seed), "the same history for the same seed");
        return;
    }
    let wanted = number_from_environment("REACTOR_CHAT_STEPS").unwrap_or(STEPS);
    let threads = thread::available_parallelism().map_or(2, usize::from).min(4);
    let mut all = Tally::default();
    thread::scope(|scope| {
        let play_share = |first| play_some(first as u64, threads, wanted.div_ceil(threads as u64));
        let workers: Vec<_> =
            (0..threads).map(|first| scope.spawn(move || play_share(first))).collect();
        for worker in workers {
            all.add(&worker.join().expect("histories without a fault"));
        }
    });
    assert!(all.count("step") >= wanted, "{} steps", all.count("step"));
    if wanted >= STEPS {
        all.assert_coverage();
    }
}
