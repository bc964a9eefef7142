"""The official Python SDK against a router. usage: openai_sdk.py BASE_URL KEY EMPTY_KEY MODEL. Prints one line per check."""
import json
import sys

import openai
from openai import OpenAI

base_url, key, empty_key, model = sys.argv[1:5]
client = OpenAI(base_url=base_url, api_key=key, max_retries=0)
HELLO = [{"role": "user", "content": "hi there friend"}]
SCHEMA = {
    "type": "object",
    "properties": {
        "city": {"type": "string", "maxLength": 12},
        "population": {"type": "integer", "minimum": 0, "maximum": 99999},
    },
    "required": ["city", "population"],
    "additionalProperties": False,
}
TOOL = {"type": "function", "function": {"name": "get_weather", "parameters": SCHEMA}}


def check(name, good):
    print(f"{'ok' if good else 'FAILED'} {name}")
    if not good:
        sys.exit(1)


def refused(error, work):
    try:
        work()
    except error as caught:
        return caught
    return None


answer = client.chat.completions.create(model=model, messages=HELLO, max_tokens=12)
check("plain", answer.choices[0].message.content and answer.usage.total_tokens > 0)
check("request id", answer._request_id.startswith("req_"))

options = {"include_usage": True}
chunks = list(client.chat.completions.create(model=model, messages=HELLO, max_tokens=12, stream=True, stream_options=options))
check("stream", any(chunk.choices and chunk.choices[0].delta.content for chunk in chunks))
check("usage of the stream", chunks[-1].usage.completion_tokens <= 12 and chunks[-1].choices == [])

format = {"type": "json_schema", "json_schema": {"name": "city", "schema": SCHEMA, "strict": True}}
answer = client.chat.completions.create(model=model, messages=HELLO, max_tokens=300, response_format=format)
document = json.loads(answer.choices[0].message.content)
check("schema", set(document) == {"city", "population"} and answer.choices[0].finish_reason == "stop")

for seed in range(20):
    answer = client.chat.completions.create(
        model=model, messages=HELLO, max_tokens=300, tools=[TOOL], tool_choice="required", seed=seed
    )
    if answer.choices[0].finish_reason == "tool_calls":
        break
[call, *_] = answer.choices[0].message.tool_calls
check("tool call", call.function.name == "get_weather" and "city" in json.loads(call.function.arguments))
told = [*HELLO, answer.choices[0].message, {"role": "tool", "tool_call_id": call.id, "content": "sunny"}]
told += [{"role": "tool", "tool_call_id": more.id, "content": "sunny"} for more in answer.choices[0].message.tool_calls[1:]]
check("tool result", client.chat.completions.create(model=model, messages=told, max_tokens=8).choices)

check("models", model in [each.id for each in client.models.list()])
with client.chat.completions.create(model=model, messages=HELLO, max_tokens=1500, stream=True) as stream:
    for chunk in stream:
        break
check("left a stream", True)

other = OpenAI(base_url=base_url, api_key="junk", max_retries=0)
ask = lambda who, **more: who.chat.completions.create(**{"model": model, "messages": HELLO, "max_tokens": 4, **more})
check("401", refused(openai.AuthenticationError, lambda: ask(other)))
check("404", refused(openai.NotFoundError, lambda: ask(client, model="no/such")))
check("400", refused(openai.BadRequestError, lambda: ask(client, temperature=9)).param == "temperature")
empty = OpenAI(base_url=base_url, api_key=empty_key, max_retries=0)
check("402", refused(openai.APIStatusError, lambda: ask(empty)).status_code == 402)
