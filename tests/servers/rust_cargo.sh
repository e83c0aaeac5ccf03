#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# rust: a cargo workspace built offline and tested; the program uses threads, channels, mutexes and sockets.
. "$(dirname "$0")/lib"
home=$(getent passwd "$(id -u)" | cut -d: -f6)
PATH=$PATH:$home/.cargo/bin:/root/.cargo/bin
need cargo rustc
[ -d "$home/.rustup" ] && export RUSTUP_HOME=$home/.rustup
export CARGO_HOME=$PWD/cargo
mkdir -p w/src w/helper/src && cd w || exit 1
printf '[workspace]\nmembers = ["helper"]\n[package]\nname = "w"\nversion = "0.1.0"\nedition = "2021"\n[dependencies]\nhelper = { path = "helper" }\n' >Cargo.toml
printf '[package]\nname = "helper"\nversion = "0.1.0"\nedition = "2021"\n' >helper/Cargo.toml
cat >helper/src/lib.rs <<'END'
pub fn double(x: u64) -> u64 { 2 * x }
#[cfg(test)] mod tests { #[test] fn doubles() { assert_eq!(super::double(4), 8); } #[test] #[should_panic] fn panics() { panic!("wanted"); } }
END
cat >src/main.rs <<'END'
use std::{io::{Read, Write}, net::{TcpListener, TcpStream}, sync::{mpsc, Arc, Mutex, Condvar}, thread, time::Duration};
fn main() {
    let n = Arc::new(Mutex::new(0u64));
    let t: Vec<_> = (0..32).map(|i| { let n = n.clone(); thread::spawn(move || for _ in 0..500 { *n.lock().unwrap() += helper::double(i); }) }).collect();
    for x in t { x.join().unwrap(); }
    println!("sum {}", n.lock().unwrap());
    let (tx, rx) = mpsc::channel();
    for i in 0..8 { let tx = tx.clone(); thread::spawn(move || for j in 0..1000u64 { tx.send(i * j).unwrap(); }); }
    drop(tx); println!("channel {}", rx.iter().sum::<u64>());
    let l = TcpListener::bind("127.0.0.1:0").unwrap(); let a = l.local_addr().unwrap();
    let s = thread::spawn(move || { for c in l.incoming().take(10) { let mut c = c.unwrap(); let mut b = Vec::new(); c.read_to_end(&mut b).unwrap(); c.write_all(&b).unwrap(); } });
    let mut total = 0;
    for i in 0..10usize { let mut c = TcpStream::connect(a).unwrap(); c.write_all(&vec![b'x'; i * 10000]).unwrap(); c.shutdown(std::net::Shutdown::Write).unwrap(); let mut b = Vec::new(); total += c.read_to_end(&mut b).unwrap(); }
    s.join().unwrap(); println!("echoed {total}");
    let p = Arc::new((Mutex::new(false), Condvar::new())); let q = p.clone();
    thread::spawn(move || { thread::sleep(Duration::from_millis(20)); *q.0.lock().unwrap() = true; q.1.notify_one(); });
    let mut g = p.0.lock().unwrap(); while !*g { g = p.1.wait(g).unwrap(); }
    println!("{:?}", thread::spawn(|| panic!("in a thread")).join().is_err());
}
END
begin=$(now)
cargo build --offline --release 2>&1 | grep -c Compiling
rate_since rust/cargo-build "$begin" 60 per-minute
./target/release/w 2>/dev/null
echo "exit $?"
cargo test --offline --workspace 2>/dev/null | grep -E '^test |^test result' | sed 's/; finished.*//' | sort
cd .. && rm -rf w cargo .cache .config
