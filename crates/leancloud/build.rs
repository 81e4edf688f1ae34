//! Compiles `proto/realtime.proto`, without `protoc`.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo:rerun-if-changed=proto/realtime.proto");
    let descriptors = protox::compile(["proto/realtime.proto"], ["proto"])?;
    prost_build::Config::new().skip_debug(["."]).compile_fds(descriptors)?;
    Ok(())
}
