//! Builds the program for release anew when the console was built anew, because its files are part of it then. Any other
//! build reads them while it runs, from a folder that has to be there when the program is compiled.

fn main() -> std::io::Result<()> {
    println!("cargo:rerun-if-changed=build.rs");
    let console = "../../console/dist";
    std::fs::create_dir_all(console)?;
    if std::env::var("PROFILE").is_ok_and(|profile| profile == "release") {
        println!("cargo:rerun-if-changed={console}");
    }
    Ok(())
}
