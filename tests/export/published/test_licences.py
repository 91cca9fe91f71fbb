"""What a pack of several licences may be used for."""

import pytest

from meshwright.export.published import sources
from meshwright.export.published.sources import Licence, combine


@pytest.mark.parametrize("name, identity, commercial", [
    ("ZERO123PLUS", "CC-BY-NC-4.0", "no"), ("SHARP_IT", "Apache-2.0 AND CC-BY-NC-4.0", "no"), ("INSTANT_MESH", "Apache-2.0", "yes"),
    ("WHITE_UNET", "Apache-2.0 AND CC-BY-NC-4.0", "no"), ("SHAP_E", "MIT", "yes")])
def test_the_published_licences(name, identity, commercial):
    licence = getattr(sources, name)
    assert (licence.id, licence.commercial_use) == (identity, commercial) and licence.notes


def test_both_licences_of_sharp_it_are_stated():
    note = " ".join(sources.SHARP_IT.notes)
    assert "tagged Apache-2.0" in note and "derives from the weights of Zero123++" in note and "CC-BY-NC-4.0" in note


def test_a_pack_keeps_every_licence_and_the_strictest_use():
    found = combine([sources.SHARP_IT, sources.ZERO123PLUS, sources.SHAP_E, sources.INSTANT_MESH, sources.SHAP_E])
    assert found["id"] == "Apache-2.0 AND CC-BY-NC-4.0 AND MIT" and found["commercial_use"] == "no"
    assert found["notes"][0] == sources.SHARP_IT.notes[0] and len(found["notes"]) == len(set(found["notes"]))


@pytest.mark.parametrize("uses, verdict", [
    (["yes", "yes"], "yes"), (["yes", "unknown"], "unknown"), (["unknown", "no", "yes"], "no"), ([], "unknown")])
def test_verdicts(uses, verdict):
    assert combine(Licence(f"X-{use}", use) for use in uses)["commercial_use"] == verdict
