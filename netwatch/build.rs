//! temporary
fn main() {
    let root =
        std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/ebpf/bpfel-unknown-none/release");
    println!("cargo::rustc-env=NETWATCH_EBPF_OBJECT={}", root.join("netwatch").display());
    println!("cargo::rustc-env=NETWATCH_REFERENCE_OBJECT={}", root.join("netwatch-reference").display());
}
