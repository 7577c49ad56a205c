"""Going through all recordings in one test: playing them, and reporting right and wrong by their ids."""

import json

from . import expected, recordings


class Tally:
    """Counts right and wrong recordings; the line it prints is the figure that gateways are compared by."""

    def __init__(self, what):
        self.what, self.right, self.wrong = what, 0, []

    def judge(self, recording, problem):
        if problem:
            self.wrong.append(f"{recording.id}: {problem}")
        else:
            self.right += 1

    def finish(self, capsys, at_least):
        total = self.right + len(self.wrong)
        with capsys.disabled():
            print(f"\n{self.what}: {self.right} of {total} right")
        assert not self.wrong, f"{len(self.wrong)} of {total} wrong:\n" + "\n".join(self.wrong)
        assert total >= at_least, f"only {total} recordings"


def is_message(recording):
    """Not a count of tokens, nor the completions of old."""
    return recording.target.endswith(("/v1/messages", "/chat/completions"))


def in_band_error(recording):
    """The error that an answer with status 200 holds, or None."""
    if recording.stream:
        return next((e["error"] for e in expected.events(recording) if e.get("error")), None)
    return json.loads(recording.body).get("error")


def successes(kinds, stream):
    """Answers of status 200 without an error in them."""
    return [r for kind in kinds for r in recordings.load(kind)
            if r.status == 200 and r.stream == stream and is_message(r) and not in_band_error(r)]


def in_band_errors(kinds):
    """Answers of status 200 with an error in them."""
    return [r for kind in kinds for r in recordings.load(kind) if r.status == 200 and is_message(r) and in_band_error(r)]


def play(up, recording, number):
    """Makes the upstream answer with this recording and nothing else; streams in random pieces. The script."""
    up.clear()
    return up.reply("POST", body=recording.body, status=recording.status, headers=recording.answer_headers(),
                    framing="chunked" if recording.stream else "length",
                    split=("random", number, 400) if recording.stream else None)
