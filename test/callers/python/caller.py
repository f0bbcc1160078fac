"""A caller of the service in Python, by grpcio and the service's own descriptors: the same as ../go/main.go, with the same argument and output."""

import json
import sys
import threading

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, json_format, message_factory


def main() -> None:
    asked = {name.lower(): value for name, value in json.loads(sys.argv[1]).items()}
    call = caller_of(asked)
    credentials = grpc.ssl_channel_credentials(
        read(asked["ca"]),
        *(read(asked[name]) if asked.get(name) else None for name in ("key", "certificate")),
    )

    def dial() -> grpc.Channel:
        # Else channels to one address share their connection.
        options = [("grpc.use_local_subchannel_pool", 1)]
        return grpc.secure_channel(asked["address"], credentials, options)

    channel = dial()
    first = call(channel)
    if not asked.get("load"):
        print(json.dumps(first))
        return
    print("calling", flush=True)
    print(json.dumps(load(dial, call, channel, first)))


def load(dial, call, channel, first):
    outcomes, ended = [first], threading.Event()

    def on_one_channel():
        while not ended.is_set():
            outcomes.append(call(channel))

    def on_new_channels():
        while not ended.is_set():
            with dial() as fresh:
                outcomes.append(call(fresh))

    threads = [threading.Thread(target=each) for each in (on_one_channel, on_new_channels)]
    for thread in threads:
        thread.start()
    sys.stdin.read()
    ended.set()
    for thread in threads:
        thread.join()
    return {"calls": len(outcomes), "failures": [each for each in outcomes if each["code"] != "OK"]}


def caller_of(asked):
    pool = descriptor_pool.DescriptorPool()
    for file in descriptor_pb2.FileDescriptorSet.FromString(read(asked["descriptors"])).file:
        pool.Add(file)
    service, _, name = asked["method"].partition("/")
    method = pool.FindServiceByName(service).FindMethodByName(name)
    types = {each: message_factory.GetMessageClass(each) for each in (method.input_type, method.output_type)}
    status = message_factory.GetMessageClass(pool.FindMessageTypeByName("google.rpc.Status"))
    error_info = message_factory.GetMessageClass(pool.FindMessageTypeByName("google.rpc.ErrorInfo"))
    request = json_format.ParseDict(asked["request"], types[method.input_type](), descriptor_pool=pool)
    token = asked.get("token")
    metadata = [("authorization", f"Bearer {token}")] if token else []

    def reason_in(trailers):
        for key, value in trailers or ():
            if key == "grpc-status-details-bin":
                for detail in status.FromString(value).details:
                    info = error_info()
                    if detail.Unpack(info):
                        return {"reason": info.reason}
        return {}

    def call(channel):
        rpc = channel.unary_unary(
            f"/{asked['method']}",
            request_serializer=types[method.input_type].SerializeToString,
            response_deserializer=types[method.output_type].FromString,
        )
        try:
            rpc(request, metadata=metadata)
            return {"code": "OK", "text": ""}
        except grpc.RpcError as error:
            # As in Go: Unauthenticated, PermissionDenied.
            code = error.code().name.title().replace("_", "")
            return {"code": code, "text": error.details(), **reason_in(error.trailing_metadata())}

    return call


def read(file):
    with open(file, "rb") as opened:
        return opened.read()


if __name__ == "__main__":
    main()
