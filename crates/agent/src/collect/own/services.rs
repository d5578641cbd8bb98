//! `mainstay_service_up` and `mainstay_service_state`, from the table of services.

use crate::collect::{CollectError, Collector, Sink};
use crate::services::{Service, Services};

pub(crate) struct ServiceStates(pub(crate) Services);

impl Collector for ServiceStates {
    fn name(&self) -> &'static str {
        "services"
    }

    fn collect(&mut self, out: &mut Sink) -> Result<(), CollectError> {
        for service in self
            .0
            .lock()
            .iter()
            .filter(|service| service.expected && service.is_current)
        {
            put_service(out, service);
        }
        Ok(())
    }
}

/// 1 or 0 for up, and 1 for the state that it is in. The label `supervision` says who sees to it that the service runs
/// (`enabled`, `managed`, `watched`, or `none`: found because it listens), so that rules can tell them apart.
pub(crate) fn put_service(out: &mut Sink, service: &Service) {
    let manager = service.manager.name();
    let labels = [
        ("name", service.name.as_str()),
        ("manager", manager),
        ("supervision", service.supervision().name()),
    ];
    out.put(
        "mainstay_service_up",
        &labels,
        f64::from(u8::from(service.is_up())),
    );
    let labels = [
        ("name", service.name.as_str()),
        ("manager", manager),
        ("state", service.state.as_str()),
    ];
    out.put("mainstay_service_state", &labels, 1.0);
}
