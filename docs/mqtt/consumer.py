"""How to read Lookout's events: each exactly once, and what is missing is said.

python docs/mqtt/consumer.py BROKER     # pip install paho-mqtt
"""

import json
import sys


class Consumer:
    """Deliveries may repeat (drop those whose id is known) and events may be given up (numbers are then missing)."""

    def __init__(self, remember=100_000):
        self.seen, self.last, self.remember = {}, {}, remember

    def take(self, payload):
        """One message: the event and how many are missing before it, or (None, 0) for one that was here before."""
        event = json.loads(payload)
        if event["id"] in self.seen:
            return None, 0
        self.seen[event["id"]] = True
        if len(self.seen) > self.remember:
            del self.seen[next(iter(self.seen))]
        last = self.last.get(event["device"], event["seq"] - 1)
        self.last[event["device"]] = event["seq"]
        return event, max(0, event["seq"] - last - 1)  # a "gap" event tells later which were given up, and why


if __name__ == "__main__":
    import paho.mqtt.subscribe as mqtt

    consumer = Consumer()

    def on_message(client, userdata, message):
        event, missing = consumer.take(message.payload)
        if event:
            print(
                f"({missing} missing)" if missing else "",
                event["time"],
                event["camera"],
                event["kind"],
                event["detail"],
            )

    topics = [f"lookout/{levels}" for levels in ("+/events", "+/+/events", "+/+/anomalies")]
    mqtt.callback(on_message, topics, qos=1, hostname=sys.argv[1], client_id="lookout-consumer", clean_session=False)
