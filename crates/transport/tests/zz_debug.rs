//! debug
mod common;
use common::*;
use std::time::Duration;
use p2_transport::Chunk;
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fences() {
    let server = server().await;
    let t0 = std::time::Instant::now();
    let mut sev = server.events();
    tokio::spawn(async move { while let Ok(e) = sev.recv().await { eprintln!("{:?} SRV {e:?}", t0.elapsed()); } });
    let relay = Relay::to(&server.local_addr()).await;
    let (near, far) = pair(&server, &relay.address).await;
    let mut nev = near.events();
    tokio::spawn(async move { while let Ok(e) = nev.recv().await { eprintln!("{:?} NEAR {e:?}", t0.elapsed()); } });
    let mut nev = far.events();
    tokio::spawn(async move { while let Ok(e) = nev.recv().await { eprintln!("{:?} FAR {e:?}", t0.elapsed()); } });
    let (mut ours, mut theirs) = stream(&near, &far, "log").await;
    let (n2, f2) = (near.clone(), far.clone());
    tokio::spawn(async move { tokio::time::sleep(Duration::from_secs(4)).await; eprintln!("NEAR {:#?}\nFAR {:#?}", n2.stats(), f2.stats()); });
    for round in 0..3 {
        let part = log(round, 100_000);
        eprintln!("{:?} writing {round}", t0.elapsed());
        ours.write_chunk(part).await.expect("written");
        relay.strand();
    }
    ours.start_finish();
    let mut n = 0;
    while let Some(Chunk::Data { data, .. }) = theirs.read_chunk().await.expect("r") { n += data.len(); }
    eprintln!("{:?} read all {n}", t0.elapsed());
    relay.stranded_are_closed().await;
    eprintln!("{:?} closed", t0.elapsed());
}
