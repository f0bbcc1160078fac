"""
ministack with what it lacks of AWS KMS, as docs.aws.amazon.com/kms/latest/developerguide has it:

- the condition keys of an encryption context (conditions-kms.html): kms:EncryptionContext:… and kms:EncryptionContextKeys of each request. Its own
  evaluator of policies then decides.
- ciphertexts that are authenticated (concepts.html): one that was altered is refused, where ministack would decrypt it to other bytes.
"""

import base64
import hashlib
import hmac
import json
import os

from ministack.app import main
from ministack.core import iam_actions
from ministack.core.responses import error_response_json
from ministack.services import kms

tag_context = iam_actions.request_tag_context


def request_context(service, iam_action, body, params):
    keys = tag_context(service, iam_action, body, params)
    context = json.loads(body or b"{}").get("EncryptionContext") if service == "kms" else None
    # Without a context neither key is in the request.
    if not context:
        return keys
    for name, value in context.items():
        keys["kms:EncryptionContext:" + name] = value
    keys["kms:EncryptionContextKeys"] = list(context)
    return keys


TAG_KEY = os.urandom(32)
TAG_BYTES = 32


def tag_of(ciphertext):
    return hmac.new(TAG_KEY, ciphertext, hashlib.sha256).digest()


def tagging(operation):
    def answer(data):
        status, headers, body = operation(data)
        if status != 200:
            return status, headers, body
        answered = json.loads(body)
        ciphertext = base64.b64decode(answered["CiphertextBlob"])
        answered["CiphertextBlob"] = base64.b64encode(ciphertext + tag_of(ciphertext)).decode()
        return status, headers, json.dumps(answered).encode()

    return answer


def checking(operation):
    def answer(data):
        blob = base64.b64decode(data.get("CiphertextBlob", ""))
        ciphertext, tag = blob[:-TAG_BYTES], blob[-TAG_BYTES:]
        if not hmac.compare_digest(tag, tag_of(ciphertext)):
            return error_response_json("InvalidCiphertextException", "", 400)
        return operation({**data, "CiphertextBlob": base64.b64encode(ciphertext).decode()})

    return answer


# Looked up at each request, as the condition keys of every service are taken together there.
iam_actions.request_tag_context = request_context
# So are the operations, in the module.
kms._encrypt = tagging(kms._encrypt)
kms._generate_data_key = tagging(kms._generate_data_key)
kms._decrypt = checking(kms._decrypt)
main()
