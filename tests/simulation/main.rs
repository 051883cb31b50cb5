//! The chat core in random worlds: a seeded generator, a virtual clock and a virtual network that
//! loses, repeats, reorders and spoofs datagrams, rebinds ports, moves members to other IPs and cuts
//! connections. A naive model ([`model`]) says what has to come of every input; after every step
//! the chat is held against it.
//!
//! `REACTOR_CHAT_SEED` plays one world again, `REACTOR_CHAT_STEPS` says how many steps to make.

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

/// Steps in all, and of one world.
const STEPS: u64 = 1_000_000;
const STEPS_A_WORLD: u64 = 2_000;

/// One world in so many is played twice.
const PLAYED_TWICE: u64 = 20;

/// Says which world it was, when one fails.
struct Seed(u64);

impl Drop for Seed {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("the world that failed: REACTOR_CHAT_SEED={}", self.0);
        }
    }
}

/// Plays a world to its end; gives what happened, counted, and a hash of all of it.
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
