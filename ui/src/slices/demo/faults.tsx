/** Faults of the demonstration: break something, watch what the product makes of it, mend it. */
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { type DemoFault, faultsQuery, triggerFault, undoFault } from '@/api/demo';
import { Guarded } from '@/parts/action';
import { Ago } from '@/parts/ago';
import { Card, Headline } from '@/parts/card';
import { plural } from '@/parts/number';
import { Shown } from '@/parts/states';
import { StatusBadge } from '@/parts/status';
import { complain, say } from '@/parts/toast';

export function Faults() {
  const faults = useQuery(faultsQuery);
  const active = faults.data?.filter((f) => f.is_active).length;
  return (
    <>
      <Headline
        tab="Demonstration"
        title={
          active === undefined
            ? 'Demonstration'
            : active === 0
              ? 'Nothing is broken in the made-up fleet'
              : `${plural(active, 'fault')} in the made-up fleet`
        }
        lede="Break something, watch the incident open within a second, and mend it with the runbook that is offered."
      />
      <Shown query={faults} what="The faults">
        {(all) => (
          <>
            {all.map((fault) => (
              <div className="below" key={fault.fault}>
                <Fault fault={fault} />
              </div>
            ))}
          </>
        )}
      </Shown>
    </>
  );
}

function Fault({ fault }: { fault: DemoFault }) {
  const queries = useQueryClient();
  const [busy, setBusy] = useState(false);
  const act = async (what: Promise<unknown>, done: string) => {
    setBusy(true);
    try {
      await what;
      say(done);
    } catch (error) {
      complain(error);
    }
    setBusy(false);
    await queries.invalidateQueries({ queryKey: faultsQuery.queryKey });
  };
  return (
    <Card
      title={fault.title}
      aside={
        <StatusBadge status={fault.is_active ? 'critical' : 'ok'}>
          {fault.is_active ? <>broken {fault.since && <Ago at={fault.since} />}</> : 'sound'}
        </StatusBadge>
      }
    >
      <div className="row between wrap">
        <div style={{ maxWidth: '72ch' }}>
          <p>{fault.description}</p>
          <p className="muted">{fault.remedy}.</p>
        </div>
        {fault.is_active ? (
          <Guarded
            permission="demo.write"
            busy={busy}
            label={`Take back: ${fault.title}`}
            onClick={() => act(undoFault(fault.fault), 'Taken back')}
          >
            Take it back
          </Guarded>
        ) : (
          <Guarded
            permission="demo.write"
            tone="danger"
            busy={busy}
            label={`Trigger: ${fault.title}`}
            onClick={() => act(triggerFault(fault.fault), `${fault.title}: done`)}
          >
            Trigger
          </Guarded>
        )}
      </div>
    </Card>
  );
}
