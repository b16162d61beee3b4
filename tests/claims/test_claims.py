import json

from synthetic import make

from phenom_jax.results.claims import Claim, Decision, decide_all, write_claims


def test_every_claim_is_decided_on_its_own(tmp_path):
    ds = make(tmp_path / "r", seed=(0,), width=(64,))
    claims = (
        Claim("runs", "There are three runs.", "counting", lambda r: Decision("holds", "3", {"runs": r.sizes["run"]})),
        Claim("broken", "It fails.", "nobody", lambda r: Decision("fails", "x", {"missing": r["nothing"].item()})),
        Claim("empty", "No number.", "nobody", lambda r: Decision("undecided", "no data", {"p": float("nan")})),
    )
    decisions = decide_all(claims, ds)
    assert [decision.verdict for decision in decisions.values()] == ["holds", "undecided", "undecided"]
    assert decisions["broken"].statistic.startswith("could not be computed: KeyError")
    write_claims(tmp_path / "claims.json", claims, decisions)
    written = json.loads((tmp_path / "claims.json").read_text())
    assert [entry["name"] for entry in written] == ["runs", "broken", "empty"]
    assert written[0]["numbers"] == {"runs": 3} and written[2]["numbers"] == {"p": None}
    assert written[0]["source"] == "counting" and written[0]["statement"] == "There are three runs."
