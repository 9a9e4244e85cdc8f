"""A bot on Django that answers with urllib, in one file instead of a project.

gunicorn django_bot:wsgi      or      uvicorn django_bot:asgi
"""

import hashlib
import hmac
import json
import os
import urllib.request

from django.conf import settings
from django.core.asgi import get_asgi_application
from django.core.wsgi import get_wsgi_application
from django.http import HttpRequest, HttpResponse
from django.urls import path
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods

APP_SECRET = os.environ["WHATSAPP_APP_SECRET"]
MESSAGES = f"{os.environ.get('GRAPH_URL', 'https://graph.facebook.com/v26.0')}/{{}}/messages"
HEADERS = {"Authorization": f"Bearer {os.environ['WHATSAPP_ACCESS_TOKEN']}", "Content-Type": "application/json"}

settings.configure(  # a project has these in settings.py
    ALLOWED_HOSTS=["*"],
    ROOT_URLCONF=__name__,
    USE_TZ=True,
    INSTALLED_APPS=["chatvitals.integrations.django"],
    MIDDLEWARE=["chatvitals.integrations.django.Middleware", "django.middleware.common.CommonMiddleware"],
    CHATVITALS={"app_secret": APP_SECRET, "webhook_path": "/webhook", "metrics_path": "/metrics"},
)


@csrf_exempt
@require_http_methods(["GET", "POST"])
def webhook(request: HttpRequest) -> HttpResponse:
    """Prove to WhatsApp that this address is ours, or receive a webhook and answer each text."""
    if request.method == "GET":
        known = request.GET.get("hub.verify_token") == os.environ["WHATSAPP_VERIFY_TOKEN"]
        return HttpResponse(request.GET["hub.challenge"]) if known else HttpResponse(status=403)
    expected = "sha256=" + hmac.new(APP_SECRET.encode(), request.body, hashlib.sha256).hexdigest()
    if not hmac.compare_digest(request.headers.get("x-hub-signature-256", ""), expected):
        return HttpResponse(status=401)
    for value in (change["value"] for entry in json.loads(request.body)["entry"] for change in entry["changes"]):
        for message in value.get("messages", []):
            if message["type"] == "text":
                answer(value["metadata"]["phone_number_id"], message["from"], message["text"]["body"])
    return HttpResponse("ok")


def answer(number: str, customer: str, text: str) -> None:
    """Answer one text."""
    reply = {"messaging_product": "whatsapp", "to": customer, "type": "text", "text": {"body": f"You said: {text}"}}
    url = MESSAGES.format(number)
    request = urllib.request.Request(url, json.dumps(reply).encode(), HEADERS)  # noqa: S310 - an address of our own
    urllib.request.urlopen(request, timeout=10).close()  # noqa: S310 - as above


urlpatterns = [path("webhook", webhook)]
wsgi, asgi = get_wsgi_application(), get_asgi_application()
