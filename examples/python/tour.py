#!/usr/bin/python3
"""A tour of the API: lists, watches, resumes, switches the backend.   tour.py unix:/run/lockstep/agent.sock [BACKEND]"""
import sys

from lockstep import Agent

agent = Agent(sys.argv[1])
print("services", *agent.services())

info = agent.call("lockstep.v1.Agent/GetInfo")
print("agent", info["node"], info["backend"], info["state"])
print("sessions", agent.call("lockstep.v1.Sessions/Count", filter={})["count"])
for vip in agent.call("lockstep.v1.LoadBalancer/ListVips")["vips"]:
    print("vip", vip["name"], vip["state"], *[f"{real['name']}={real['weight']}" for real in vip["reals"]])


def watch(token, seen):
    """VIPs by name into `seen`, up to the moment when they are whole. Returns the token to go on with, and what came."""
    came = []
    for batch in agent.stream("lockstep.v1.Objects/Watch", kind="OBJECT_KIND_VIP", token=token):
        for message in batch["messages"]:
            (kind, value), = message.items()
            if kind == "begin":
                seen.clear()
            elif kind == "put":
                seen[value["key"]] = value["vip"]
            elif kind == "delete":
                seen.pop(value["key"], None)
            elif kind == "commit":
                token = value["token"]
            elif kind == "synced":
                return token, came
            came.append(kind if kind != "hello" else "resumed" if value["resumed"] else "hello")


vips = {}
token, came = watch("", vips)
print("watched", *sorted(vips), "by", *came)

name = next(iter(vips), None)
if name is not None:
    real = vips[name]["reals"][0]["name"]
    agent.call("lockstep.v1.LoadBalancer/AdjustReal", vip=name, real=real, weight=7, terms={"owner": "tour"})
    while vips[name]["reals"][0]["weight"] != 7:
        token, came = watch(token, vips)
    print("resumed", name, f"{real}={vips[name]['reals'][0]['weight']}", "by", *came)
    agent.call("lockstep.v1.LoadBalancer/RestoreReal", vip=name, real=real)

if len(sys.argv) > 2:
    for backend in (sys.argv[2], info["backend"]):
        answer = agent.call("lockstep.v1.Agent/SwitchBackend", timeout=60, backend=backend)
        print("switched", answer["from"], "->", answer["to"])

try:
    agent.call("lockstep.v1.Agent/SwitchBackend", backend="abacus")
except Exception as error:  # grpc.RpcError
    print("refused", error.code().name)
agent.close()
