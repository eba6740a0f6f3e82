//! Small programs that embed Magnus. Each is a file in this directory: `cargo run -p magnus-examples --example
//! embed_two_tools`, and `--features mock --example mock_adapters`.
