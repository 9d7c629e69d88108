"""The panels that read rolling rows: quantiles of their histograms, and the ratings' mean as it may be published.

They change only when a row lands, once a minute. Of rows for one instant the first that landed counts, which is the one
with the greatest `earliest`. A row says itself what is published of the ratings (`streams.core.publishing`).
"""

from dashboards.shown import Panel, Shown
from schemas.rolling import ALL_WINDOWS

SMALL = 10
LABELS = "(SELECT unit, argMax(label, version) AS label FROM units WHERE district = %(district)s GROUP BY unit)"
_OWN = "district = %(district)s AND unit = %(district)s AND channel = 'all'"
_PAST = "at <= fromUnixTimestamp64Milli(toInt64(%(now_ms)s))"
_MONTH = f"{_OWN} AND window = '28d' AND {_PAST}"


def quantile(level: float) -> str:
    """SQL of the quantile of a row's first responses in ms, as `streams.core.histogram` gives it; null without any.

    The buckets' starts follow from one another, so the one needed is found by counting up to it.
    """
    rank = f"least(toInt64(floor({level} * first_response_count)), toInt64(first_response_count) - 1)"
    bucket = f"arrayFirst((bucket, upto) -> upto > {rank}, first_response_buckets, arrayCumSum(first_response_counts))"
    start = f"arrayFold((start, i) -> {_next('start')}, range({bucket}), toInt64(0))"
    middle = f"arrayMap(start -> intDiv(start + {_next('start')} - 1, 2), [{start}])[1]"
    return f"if(first_response_count = 0, NULL, {middle})"


def _next(start: str) -> str:
    return f"greatest({start} + 1, intDiv({start} * 51, 50))"


def ratio(part: str, whole_part: str, whole: bool = False) -> str:
    """SQL of a quotient, null where there is nothing to divide by; `whole`: rounded to an integer."""
    quotient = f"({part}) / ({whole_part})"
    value = f"toInt64(round({quotient}))" if whole else quotient
    return f"if({whole_part} = 0, NULL, {value})"


ROLLED = Panel(
    name="rolled",
    title="The last four weeks, up to the last full minute",
    meaning="Response times, promises and satisfaction of the last 28 days up to the last full minute.",
    sql=f"""
SELECT
    f.median_ms, f.p90_ms, f.mean_ms, f.kept,
    if(least(f.n, f.published_n) < {SMALL}, NULL, f.mean) AS satisfaction,
    f.rolled_at, f.published_ms AS published_at,
    if(f.published_n < {SMALL}, NULL, f.published_n) AS published_n
FROM (SELECT 1) AS one
LEFT JOIN (
    SELECT
        toNullable(toUnixTimestamp64Milli(at)) AS rolled_at,
        {quantile(0.5)} AS median_ms,
        {quantile(0.9)} AS p90_ms,
        {ratio("first_response_sum_ms", "first_response_count", whole=True)} AS mean_ms,
        {ratio("promises_met", "promises_met + promises_missed")} AS kept,
        ratings_count AS n,
        arraySum(published_ratings) AS published_n,
        arrayEnumerate(published_ratings) AS score,
        arraySum((a, b) -> a * b, score, published_ratings) / published_n AS mean,
        toUnixTimestamp64Milli(published_at) AS published_ms
    FROM (SELECT * FROM rolling WHERE {_MONTH} ORDER BY at DESC, earliest DESC LIMIT 1)
) AS f ON 1 = 1
""",  # noqa: S608 -- only the fragments above are put in
    columns=(
        Shown(
            "median_ms",
            "duration",
            "First response, median",
            "Half of the first answers of 28 days came faster. From the rolling histogram: within 1 %.",
        ),
        Shown(
            "p90_ms",
            "duration",
            "First response, p90",
            "Nine of ten first answers of 28 days came within this time. From the rolling histogram: within 1 %.",
        ),
        Shown(
            "mean_ms",
            "duration",
            "First response, mean",
            "The public yardstick is a mean below one day. Elapsed time, without calls answered at once.",
        ),
        Shown(
            "kept",
            "share",
            "Promises kept",
            "Of the promises due in 28 days, those kept by their due time. Broken and still waiting counts as broken.",
        ),
        Shown(
            "satisfaction",
            "score",
            "Satisfaction",
            "Mean of the ratings of 28 days, 1 (worst) to 10 (best). It is published anew only when ten ratings have "
            "come or left since, and not at all with fewer than ten, so that nobody can be recognised.",
        ),
        Shown("rolled_at", "instant", "As of", "End of the rolling window that response times and promises are of."),
        Shown("published_at", "instant", "Published", "End of the rolling window that the satisfaction is of."),
        Shown("published_n", "count", "Published ratings", "How many ratings the satisfaction is of; at least ten."),
    ),
)

ROLLING = Panel(
    name="rolling",
    title="Rolling windows",
    meaning="The whole district in five windows that end with the last full minute, whatever the channel.",
    sql=f"""
SELECT
    window, inquiries, {quantile(0.5)} AS median_ms, {quantile(0.9)} AS p90_ms,
    {ratio("first_response_sum_ms", "first_response_count", whole=True)} AS mean_ms,
    {ratio("promises_met", "promises_met + promises_missed")} AS kept,
    toUnixTimestamp64Milli(at) AS rolled_at
FROM (
    SELECT * FROM rolling
    WHERE {_OWN} AND {_PAST} AND at > fromUnixTimestamp64Milli(toInt64(%(now_ms)s) - 86400000)
    ORDER BY at DESC, earliest DESC LIMIT 1 BY window
)
ORDER BY indexOf({list(ALL_WINDOWS)}, window)
""",  # noqa: S608 -- only the fragments above are put in
    columns=(
        Shown("window", "text", "Window", "How far back it looks: 1 h, 24 h, 7 or 28 days, 7 school days."),
        Shown("inquiries", "count", "Inquiries", "Conversations that families opened in the window."),
        Shown("median_ms", "duration", "First response, median", "Half of the window's first answers came faster."),
        Shown("p90_ms", "duration", "First response, p90", "Nine of ten of them came within this time."),
        Shown("mean_ms", "duration", "First response, mean", "Their exact mean. Elapsed time, nights included."),
        Shown("kept", "share", "Promises kept", "Of the promises due in the window, those kept by their due time."),
        Shown("rolled_at", "instant", "Until", "End of the window: the last full minute whose row has landed."),
    ),
)
