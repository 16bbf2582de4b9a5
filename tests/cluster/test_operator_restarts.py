"""A killed operator carries on as if nothing had happened."""

from searching import REAL_TRAINING, WHILE_TRAINING, Operator, Searching, search_manifest

SEARCH = search_manifest(**REAL_TRAINING, seed=3)


def test_a_killed_operator_loses_no_trial_and_doubles_none(make_searching, eventually):
    """The history of a search whose operator is killed again and again equals, record for record,
    that of the same search left alone; only how long things took may differ."""
    killed, undisturbed = make_searching(), make_searching()
    undisturbed.operator.start()
    undisturbed.apply(SEARCH)
    killed.apply(SEARCH)
    for reached in (a_job_exists, a_result_is_annotated, the_first_iteration_is_stored, late_job):
        killed.operator.start()
        eventually(lambda now=reached: now(killed), within=WHILE_TRAINING)
        killed.operator.kill()
    killed.operator.start()
    eventually(killed.is_over, within=WHILE_TRAINING)
    eventually(undisturbed.is_over, within=WHILE_TRAINING)

    assert untimed(killed) == untimed(undisturbed)
    assert len(killed.records()) == 8
    assert killed.status()["trials"] == undisturbed.status()["trials"]
    assert killed.status()["top"] == undisturbed.status()["top"]


def a_job_exists(searching: Searching) -> bool:
    return bool(searching.jobs())


def a_result_is_annotated(searching: Searching) -> bool:
    jobs = searching.jobs()
    return any("blockqnn.dev/result" in job["metadata"]["annotations"] for job in jobs)


def the_first_iteration_is_stored(searching: Searching) -> bool:
    return len(searching.records()) >= 4


def late_job(searching: Searching) -> bool:
    return any(
        job["metadata"]["labels"]["blockqnn.dev/iteration"] == "1" for job in searching.jobs()
    )


def untimed(searching: Searching) -> list[dict[str, object]]:
    return [record.model_dump(exclude={"seconds"}) for record in searching.records()]


def test_the_operator_waits_for_an_api_server_and_says_which(tmp_path, eventually, installed):
    """Nothing listens there; the operator names the server, tries again, and ends when told to."""
    text = installed.kubeconfig.read_text().replace(installed.server, "https://127.0.0.1:1")
    (tmp_path / "kubeconfig").write_text(text)
    operator = Operator(tmp_path / "kubeconfig", "default", tmp_path / "log")
    operator.start()
    eventually(lambda: operator.log.read_text().count("Trying again in") >= 2)
    said = operator.log.read_text()
    assert "The API server https://127.0.0.1:1 cannot be reached" in said
    assert "Traceback" not in said
    assert operator.stop() == 0
