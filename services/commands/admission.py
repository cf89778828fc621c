"""The brokers that a command cannot do without: there, and willing to have this process."""

from services.bootstrap import NotConfigured, Settings, brokers_of


def admitted(settings: Settings) -> None:
    """Raise NotConfigured without brokers in the settings, or with some that refuse them; brokers
    that are away are waited for later."""
    brokers = brokers_of(settings)
    # Kafka's client takes its time to load: only who talks to brokers waits for it.
    from infra.kafka import admission

    try:
        admission.admitted(brokers)
    except admission.NotAdmitted as refused:
        raise NotConfigured(str(refused)) from None
