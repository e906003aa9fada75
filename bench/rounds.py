"""Alternating runs: repeating what something disturbed, medians, ratios and the table's rows.

bench/run and bench/python/run share this file.  A run is what a load program printed as JSON, a
dict whose keys end the same way in all of them.
"""

import statistics

# Shares of a run above which its figures are doubtful: CPU time the host gave to others, and time
# the server or the load stood ready while other programs had its CPU.
MOST_STEAL = 0.01
MOST_WAITED = 0.02


def cpu_ticks():
    """All ticks the machine has counted so far, and those the host took away."""
    with open("/proc/stat", encoding="ascii") as stat:
        ticks = [int(field) for field in stat.readline().split()[1:9]]
    return sum(ticks), ticks[7]


def with_steal(make_run):
    """The run that this call returns, and what share of it the host took away."""
    total, steal = cpu_ticks()
    run = make_run()
    total_after, steal_after = cpu_ticks()
    run["steal"] = (steal_after - steal) / max(1, total_after - total)
    return run


def waited(run):
    """The share of a run in which other programs had the CPU of what is measured or of the load."""
    most = run.get("load_waited", 0)
    for role in ("server", "client"):
        # The threads of one process also wait for each other, which is nobody else's doing.
        if run.get(f"{role}_threads") == 1:
            most = max(most, run[f"{role}_waited"])
    return most


def disturbed(run):
    return waited(run) > MOST_WAITED or run.get("steal", 0) > MOST_STEAL


def measure(names, run_once, rounds, retries, expected):
    """Calls run_once(name) for every name, `rounds` times, alternating.

    A round that something disturbed is thrown away whole, so that pairs stay pairs, and run
    again while `retries` last.  A name that raises one of the exceptions `expected` is left out
    from then on.  Returns the runs of each name, and for each that was left out the exception.
    """
    runs = {name: [] for name in names}
    without = {}
    while rounds > 0 and len(without) < len(runs):
        latest = {}
        for name in names:
            if name in without:
                continue
            try:
                latest[name] = run_once(name)
            except expected as reason:
                without[name] = reason
                runs[name] = []
        if retries > 0 and any(map(disturbed, latest.values())):
            retries -= 1
            continue
        rounds -= 1
        for name, run in latest.items():
            runs[name].append(run)
    return runs, without


def median(runs, key):
    return statistics.median(run[key] for run in runs)


def ratio(runs, base, key):
    """The ratio of the medians, and how far the ratios of single rounds lie apart."""
    if not base or base is runs or not median(base, key):
        return ""
    pairs = [run[key] / other[key] for run, other in zip(runs, base) if other[key]]
    middle = median(runs, key) / median(base, key)
    return f"{middle:.3f} [{min(pairs):.3f}-{max(pairs):.3f}]"


def print_row(row, widths):
    left = [text.ljust(width) for text, width in zip(row[:2], widths)]
    right = [text.rjust(width) for text, width in zip(row[2:], widths[2:])]
    print("  ".join(left + right).rstrip(), flush=True)


def warn(runs):
    doubtful = [run for run in runs if disturbed(run)]
    if doubtful:
        print(
            f"doubtful: {len(doubtful)} of {len(runs)} runs were disturbed; other programs took up "
            f"to {100 * max(map(waited, doubtful)):.0f} % of one, the host of the machine up to "
            f"{100 * max(run.get('steal', 0) for run in doubtful):.0f} %"
        )
