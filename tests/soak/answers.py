"""What of an answer has to be the same whenever the same is asked with the same seed, streamed or not."""

import json

VOLATILE = {"id", "created", "created_at", "timings", "usage", "total_duration", "load_duration", "prompt_eval_duration", "eval_duration", "prompt_eval_count",
            "tokens_cached", "index_token", "item_id", "completed_at", "system_fingerprint", "cached_tokens"}


def stable(value):
    if isinstance(value, dict):
        return {key: stable(each) for key, each in value.items() if key not in VOLATILE}
    return [stable(each) for each in value] if isinstance(value, list) else value


def events(text):
    for line in text.split("\n"):
        line = line.removeprefix("data: ")
        if line.startswith("{"):
            yield json.loads(line)


def failed(text):
    """The error that a stream ended with, if it did."""
    return next((event["error"] for event in events(text) if isinstance(event, dict) and event.get("error")), None)


def collected(text):
    """The choices of a stream of OpenAI's chunks, put together: {index: [text, finish reason, log probabilities]}."""
    choices = {}
    for event in events(text):
        for choice in event.get("choices", []):
            whole = choices.setdefault(choice["index"], ["", None, []])
            whole[0] += choice["delta"].get("content") or "" if "delta" in choice else choice["text"]
            whole[1] = choice["finish_reason"] or whole[1]
            logprobs = choice.get("logprobs") or {}
            whole[2] += logprobs.get("content") or list(zip(logprobs.get("tokens", []), logprobs.get("token_logprobs", [])))
    return json.loads(json.dumps(choices))


def comparable(body, text):
    """Of the answer `text` to the request `body`."""
    if body.get("stream") and "data: " in text:
        first = next(events(text), {})
        return collected(text) if "choices" in first else [stable(event) for event in events(joined_pieces(text))]
    if body.get("stream"):
        return "".join(event.get("response", "") or event.get("message", {}).get("content", "") for event in events(text))
    return stable(json.loads(text))


def joined_pieces(text):
    """Streams of other kinds: their pieces may be cut elsewhere, their text is the same."""
    said = "".join(event.get("content") or "" if "content" in event else
                   event["delta"] if isinstance(event.get("delta"), str) else (event.get("delta") or {}).get("text", "") for event in events(text)
                   if "item" not in event and "part" not in event and not isinstance(event.get("content"), list))
    return json.dumps({"said": said})
