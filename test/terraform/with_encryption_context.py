"""
ministack with the condition keys of an encryption context, which it lacks: kms:EncryptionContext:… and kms:EncryptionContextKeys of each
request to KMS, as docs.aws.amazon.com/kms/latest/developerguide/conditions-kms.html has them. Its own evaluator of policies then decides.
"""

import json

from ministack.app import main
from ministack.core import iam_actions

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


# Looked up at each request, as the condition keys of every service are taken together there.
iam_actions.request_tag_context = request_context
main()
