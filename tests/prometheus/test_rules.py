"""The rules for the pipeline: their metrics exist, and promtool's unit tests hold for each of them."""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import CollectorRegistry
from prometheus_client.metrics import MetricWrapperBase

from streams.metrics import AuditMetrics, WebMetrics, WorkerMetrics

FOLDER = Path(__file__).resolve().parents[2] / "deploy" / "prometheus"
RULES, TESTS = FOLDER / "cx.rules.yml", FOLDER / "cx.rules.test.yml"
OF_PROMETHEUS = {"instance", "job"}
SUFFIXES = {"counter": ("_total",), "gauge": ("",), "histogram": ("_bucket", "_sum", "_count")}


def rules() -> list[dict[str, Any]]:
    content: dict[str, Any] = yaml.safe_load(RULES.read_text())
    return [rule for group in content["groups"] for rule in group["rules"]]


def metrics() -> Iterator[tuple[str, set[str]]]:
    """Every name that is exposed, with its labels."""
    for kind in (WorkerMetrics, AuditMetrics, WebMetrics):
        for metric in vars(kind(CollectorRegistry())).values():
            if isinstance(metric, MetricWrapperBase):
                (family,) = metric.describe()
                for suffix in SUFFIXES[family.type]:
                    yield family.name + suffix, set(metric._labelnames)  # noqa: SLF001 -- there is no public way


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: str(rule["alert"]))
def test_every_metric_and_label_of_a_rule_exists(rule: dict[str, Any]) -> None:
    known = dict(metrics())
    named = set(re.findall(r"\bcx_\w+", rule["expr"]))
    assert named or "up{" in rule["expr"]
    assert named <= known.keys()
    labels = set().union(*(known[name] for name in named)) | OF_PROMETHEUS
    used = set(re.findall(r"\b(\w+)=~?\"", rule["expr"]))
    for grouped in re.findall(r"\bby \(([^)]*)\)", rule["expr"]):
        used |= {label.strip() for label in grouped.split(",")}
    told = " ".join(rule["annotations"].values())
    used |= set(re.findall(r"\$labels\.(\w+)", told))
    assert used <= labels


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: str(rule["alert"]))
def test_every_rule_says_what_it_is_and_has_a_unit_test_that_fires_and_one_that_does_not(rule: dict[str, Any]) -> None:
    assert rule["labels"]["severity"] in ("warning", "critical")
    assert rule["annotations"]["summary"].endswith(".")
    assert rule["annotations"]["description"].endswith((".", "why.", "`."))
    asked = [
        bool(each.get("exp_alerts"))
        for test in yaml.safe_load(TESTS.read_text())["tests"]
        for each in test["alert_rule_test"]
        if each["alertname"] == rule["alert"]
    ]
    assert set(asked) == {True, False}


@pytest.mark.prometheus
def test_promtool_takes_the_rules_and_the_example_and_every_unit_test_holds() -> None:
    for line in (["check", "rules", RULES.name], ["check", "config", "prometheus.yml"], ["test", "rules", TESTS.name]):
        done = subprocess.run(["promtool", *line], cwd=FOLDER, capture_output=True, text=True, check=False)  # noqa: S607
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.prometheus
def test_a_rule_that_is_wrong_fails_its_unit_test(tmp_path: Path) -> None:
    (tmp_path / TESTS.name).write_text(TESTS.read_text())
    (tmp_path / RULES.name).write_text(RULES.read_text().replace("> 1000", "> 1000000"))
    line = ["promtool", "test", "rules", TESTS.name]
    done = subprocess.run(line, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "CxLag" in done.stdout + done.stderr
