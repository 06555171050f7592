//! x
use aya::programs::{TestRun, TestRunOptions};
use netwatch::kernel::{Options, Watch, program};
fn main() {
    let mut w = Watch::load(&Options::of_this_host(128 << 20)).unwrap();
    let p = w.program().unwrap();
    println!("{:?}", program::size_of_program(p).unwrap());
    let mut f = vec![0u8; 60];
    f[12] = 8;
    f[14] = 0x45;
    f[17] = 46;
    f[23] = 6;
    f[26..34].copy_from_slice(&[198, 51, 100, 2, 198, 51, 100, 1]);
    f[34] = 1;
    f[36] = 0;
    f[37] = 80;
    f[47] = 2;
    for _ in 0..5 {
        let r = p
            .test_run(TestRunOptions { data_in: Some(&f), repeat: 1_000_000, ..Default::default() })
            .unwrap();
        println!("{:?}", r);
    }
    println!("{:?}", w.totals().unwrap());
    w.swap().unwrap();
    w.drain(|k, v| println!("{k:?} {v:?}"), |k, v| println!("{k:?} {v:?}")).unwrap();
}
