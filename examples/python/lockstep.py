"""A Lockstep agent as Python calls, by its reflection: no generated code. Needs python3-grpcio (Debian) and nothing of Lockstep.

    agent = Agent("unix:/run/lockstep/agent.sock")
    agent.call("lockstep.v1.Agent/GetInfo")
    agent.call("lockstep.v1.Sessions/Count", filter={"vip": "web"})
    for message in agent.stream("lockstep.v1.Objects/Watch", kind="OBJECT_KIND_VIP"): ...
"""
import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, json_format, message_factory

REFLECTION = "grpc.reflection.v1alpha.ServerReflection"


def _reflection_messages():
    """Of grpc/reflection/v1alpha/reflection.proto, as far as it is asked here."""
    field = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(name="reflection.proto", package="r", syntax="proto3")

    def message(name, *fields):
        m = file.message_type.add(name=name)
        for number, label, kind, of in fields:
            f = m.field.add(name=label, number=number, type=kind, label=field.LABEL_REPEATED if of == "*" or of.endswith("*") else field.LABEL_OPTIONAL)
            if kind == field.TYPE_MESSAGE:
                f.type_name = ".r." + of.rstrip("*")

    message("Request", (4, "file_containing_symbol", field.TYPE_STRING, ""), (7, "list_services", field.TYPE_STRING, ""))
    message("Files", (1, "file_descriptor_proto", field.TYPE_BYTES, "*"))
    message("Service", (1, "name", field.TYPE_STRING, ""))
    message("Services", (1, "service", field.TYPE_MESSAGE, "Service*"))
    message("Error", (1, "error_code", field.TYPE_INT32, ""), (2, "error_message", field.TYPE_STRING, ""))
    message("Response", (4, "files", field.TYPE_MESSAGE, "Files"), (6, "services", field.TYPE_MESSAGE, "Services"), (7, "error", field.TYPE_MESSAGE, "Error"))
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    factory = message_factory.MessageFactory(pool)
    return [factory.GetPrototype(pool.FindMessageTypeByName("r." + name)) for name in ("Request", "Response")]


class Agent:
    """One connection. Requests and answers are dicts, as JSON of protobuf has them; field names as in the .proto files."""

    def __init__(self, target, credentials=None):
        self.channel = grpc.insecure_channel(target) if credentials is None else grpc.secure_channel(target, credentials)
        self._request, self._response = _reflection_messages()
        self._pool = descriptor_pool.DescriptorPool()
        self._factory = message_factory.MessageFactory(self._pool)
        self._known = set()

    def services(self):
        return sorted(s.name for s in self._reflect(list_services="*").services.service)

    def call(self, method, timeout=30, **request):
        of = self._method(method)
        unary = self.channel.unary_unary("/" + method, request_serializer=lambda m: m.SerializeToString(), response_deserializer=self._type(of.output_type).FromString)
        return self._dict(unary(self._message(of, request), timeout=timeout))

    def stream(self, method, timeout=None, **request):
        """Leaving the loop, or closing the generator, cancels."""
        of = self._method(method)
        stream = self.channel.unary_stream("/" + method, request_serializer=lambda m: m.SerializeToString(), response_deserializer=self._type(of.output_type).FromString)
        call = stream(self._message(of, request), timeout=timeout)
        try:
            for message in call:
                yield self._dict(message)
        finally:
            call.cancel()

    def close(self):
        self.channel.close()

    def _message(self, of, request):
        return json_format.ParseDict(request, self._type(of.input_type)())

    @staticmethod
    def _dict(message):
        return json_format.MessageToDict(message, preserving_proto_field_name=True, including_default_value_fields=True)

    def _type(self, descriptor):
        return self._factory.GetPrototype(descriptor)

    def _method(self, path):
        service, name = path.split("/")
        if service not in self._known:
            for data in self._reflect(file_containing_symbol=service).files.file_descriptor_proto:
                file = descriptor_pb2.FileDescriptorProto.FromString(data)
                self._add(file)
            self._known.add(service)
        return self._pool.FindServiceByName(service).FindMethodByName(name)

    def _add(self, file):
        try:
            self._pool.FindFileByName(file.name)
        except KeyError:
            for dependency in file.dependency:
                self._need(dependency)
            self._pool.Add(file)

    def _need(self, name):
        """What a file imports comes with it, in any order."""
        try:
            self._pool.FindFileByName(name)
        except KeyError:
            for data in self._pending:
                file = descriptor_pb2.FileDescriptorProto.FromString(data)
                if file.name == name:
                    self._add(file)

    def _reflect(self, **request):
        stream = self.channel.stream_stream(f"/{REFLECTION}/ServerReflectionInfo", request_serializer=lambda m: m.SerializeToString(), response_deserializer=self._response.FromString)
        answer = next(iter(stream(iter([self._request(**request)]), timeout=10)))
        if answer.error.error_code:
            raise LookupError(answer.error.error_message)
        self._pending = list(answer.files.file_descriptor_proto)
        return answer
