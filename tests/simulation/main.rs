//! Random histories of the chat against one reference model ([`model`]), which says what every input
//! must cause. After every step the chat is compared with it.
//!
//! Two drivers use it. The simulation plays long histories of random worlds with a seeded generator,
//! a virtual clock and a virtual network that loses, repeats, reorders and spoofs datagrams, rebinds
//! ports, moves members to other IPs and cuts connections. [`histories`] plays short ones, which
//! proptest shrinks.
//!
//! `REACTOR_CHAT_SEED` replays one world, and `REACTOR_CHAT_STEPS` sets the number of steps.

mod histories;
mod model;
mod network;
#[path = "../support/mod.rs"]
mod support;
mod tally;
mod world;

use std::thread;

use support::random::{number_from_environment, seed_to_replay};
use tally::Tally;
use world::World;

/// Steps in all, and in one world.
const STEPS: u64 = 1_000_000;
const STEPS_A_WORLD: u64 = 2_000;

/// Every world with a multiple of this seed is played twice, to check that a seed fixes its history.
const PLAYED_TWICE: u64 = 20;

/// Prints the seed of a world that fails.
struct Seed(u64);

impl Drop for Seed {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("the world that failed: REACTOR_CHAT_SEED={}", self.0);
        }
    }
}

/// Plays a world to its end. Returns counts of what happened, and a hash of its history.
fn play(seed: u64) -> (Tally, u64) {
    let _seed = Seed(seed);
    let mut world = World::new(seed);
    for _ in 0..STEPS_A_WORLD {
        world.step();
    }
    world.heal();
    world.end();
    world.into_history()
}

fn play_some(seeds: impl Iterator<Item = u64>) -> Tally {
    let mut all = Tally::default();
    for seed in seeds {
        let (tally, hash) = play(seed);
        if seed.is_multiple_of(PLAYED_TWICE) {
            assert_eq!(play(seed).1, hash, "seed {seed}: the same history for the same seed");
        }
        all.add(&tally);
    }
    all
}

#[test]
fn t1_t2_l8_l9_chat_equals_model() {
    if let Some(seed) = seed_to_replay() {
        assert_eq!(play(seed).1, play(seed).1, "the same history for the same seed");
        return;
    }
    let wanted = number_from_environment("REACTOR_CHAT_STEPS").unwrap_or(STEPS);
    let worlds = wanted.div_ceil(STEPS_A_WORLD);
    let threads = thread::available_parallelism().map_or(2, usize::from).min(4) as u64;
    let mut all = Tally::default();
    thread::scope(|scope| {
        let workers: Vec<_> = (0..threads)
            .map(|first| scope.spawn(move || play_some((first..worlds).step_by(threads as usize))))
            .collect();
        for worker in workers {
            all.add(&worker.join().expect("worlds without a fault"));
        }
    });
    assert!(all.count("step") >= wanted, "{} steps", all.count("step"));
    if wanted >= STEPS {
        all.assert_coverage();
    }
}
