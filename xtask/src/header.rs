pub fn run(_c: bool) -> anyhow::Result<()> {
    Ok(())
}
