"""`toonify doctor`: what this installation can do, and what to type where it cannot."""

import typer


def doctor() -> int:
    """Check Python, PyTorch, ONNX Runtime, CUDA, caches and the hub. Exit code 1 if something needs fixing."""
    from toonify.doctor import examine_installation

    findings = list(examine_installation())
    for finding in findings:
        mark = typer.style("ok  ", fg="green") if finding.fix is None else typer.style("fix ", fg="yellow")
        typer.echo(f"{mark}  {finding.subject}: {finding.state}")
        if finding.fix is not None:
            typer.echo(f"      {finding.fix}")
    return 1 if any(finding.fix for finding in findings if finding.serious) else 0
