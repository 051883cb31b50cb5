#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| reactor_chat_fuzz::http3(data));
