"""`chatvitals assets`: write dashboards, alert rules and their companions to a folder."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from chatvitals.cli import _common
from chatvitals.monitoring import bundle, kubernetes
from chatvitals.monitoring import links as linking
from chatvitals.monitoring.kubernetes import Target
from chatvitals.monitoring.slo import Objective

if TYPE_CHECKING:
    import argparse
    from pathlib import Path


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.description = (
        "Write dashboards, recording and alerting rules, their tests and a runbook, for a service level objective. "
        "Also write examples: Alertmanager, provisioning and a compose file."
    )
    parser.add_argument("--out", type=_common.output, required=True, metavar="DIR", help="the folder to write to")
    parser.add_argument(
        "--slo",
        type=_common.share,
        default=0.95,
        metavar="SHARE",
        help="share of turns answered in time (default: 0.95)",
    )
    parser.add_argument(
        "--threshold",
        type=_common.whole,
        default=60,
        metavar="S",
        help="an answer within this many seconds is on time: 10, 60, 300 or 3600 (default: 60)",
    )
    parser.add_argument("--grafana-url", metavar="URL", help="your Grafana: alerts then link to their dashboard")
    parser.add_argument("--runbook-url", metavar="URL", help="your page with the runbook that alerts link to")
    pods = parser.add_argument_group("Kubernetes")
    pods.add_argument(
        "--kubernetes",
        action="store_true",
        help="write objects for the Prometheus Operator as well: rules, PodMonitor, dashboards and exporter",
    )
    pods.add_argument("--namespace", default="default", help="namespace of the objects (default: %(default)s)")
    pods.add_argument(
        "--release",
        default="prometheus",
        help="the label `release` by which your Prometheus selects rules and monitors (default: %(default)s)",
    )
    pods.add_argument("--image", default="", help="image of the exporter (default: chatvitals of this version)")
    parser.add_argument("--force", action="store_true", help="overwrite files that differ")
    parser.set_defaults(
        run=lambda options: run(
            options.out,
            share=options.slo,
            threshold=options.threshold,
            force=options.force,
            links=(options.runbook_url, options.grafana_url),
            target=Target(options.namespace, options.release, options.image) if options.kubernetes else None,
        )
    )


def run(
    folder: Path,
    *,
    share: float,
    threshold: int,
    force: bool,
    links: tuple[str | None, str | None] = (None, None),
    target: Target | None = None,
) -> int:
    """Write all files. Existing files with other content are replaced only with `force`.

    Args:
        folder: the target folder. It is created if it is missing.
        share: the objective's share of turns, such as 0.95.
        threshold: the objective's seconds.
        force: whether files with other content are replaced.
        links: the addresses of runbook and Grafana.
        target: names for the objects of Kubernetes. None writes no objects.

    Returns:
        0, or 1 when a file is missing, cannot be written or would be overwritten, or 2 for an invalid objective.
    """
    try:
        made = bundle.files(
            Objective(share, threshold),
            links=linking.links(*links),
            kubernetes_target=None if target is None else kubernetes.checked(target),
        )
    except ValueError as error:
        return _common.refused("assets", str(error))
    except FileNotFoundError as error:
        return _common.refused("assets", f"{error.filename} is missing: install chatvitals again", _common.FAILED)
    try:
        differing = [name for name, text in made.items() if _differs(folder / name, text)]
        if differing and not force:
            listed = "".join(f"\n  {folder / name}" for name in differing)
            return _common.refused(
                "assets",
                f"these files differ from what would be written. --force overwrites them:{listed}",
                _common.FAILED,
            )
        for name, text in made.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(text.encode())  # as in the comparison, with the same line ends everywhere
    except OSError as error:
        return _common.refused("assets", _common.reason(error), _common.FAILED)
    sys.stdout.write(
        f"Wrote {len(made)} files to {folder}, for {share:g} of the turns answered within {threshold} s.\n"
        f"{folder / 'README.md'} says how to load them. To look at them with the demo bot:\n"
        f"  docker compose -f {folder / 'compose.yaml'} up\n"
    )
    if target is not None:
        sys.stdout.write(f"To Kubernetes:\n  kubectl apply -k {folder / kubernetes.FOLDER}\n")
    return _common.OK


def _differs(path: Path, text: str) -> bool:
    return path.exists() and path.read_bytes() != text.encode()
