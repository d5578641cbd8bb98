/** Faults of the demonstration: break something, watch what the product makes of it, mend it. */
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
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
              ? 'No active faults in the simulated fleet'
              : `${plural(active, 'active fault')} in the simulated fleet`
        }
        lede="Inject a fault, watch the incident open within a second, and fix it with the suggested runbook."
      />
      <div className="below">
        <Card title="Faults" aside="each can be reverted" flush>
          <Shown query={faults} what="The faults">
            {(all) => (
              <>
                {all.map((fault) => (
                  <Fault key={fault.fault} fault={fault} />
                ))}
              </>
            )}
          </Shown>
        </Card>
      </div>
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
    <div className="line" style={{ flexWrap: 'wrap', alignItems: 'center' }}>
      <div style={{ flex: '1 1 320px', minWidth: 0 }}>
        <span className="row wrap tight">
          <b>{fault.title}</b>
          {fault.is_active && (
            <StatusBadge status="critical">broken {fault.since && <Ago at={fault.since} />}</StatusBadge>
          )}
        </span>
        <p>{fault.description}</p>
        <p className="muted">{fault.remedy}.</p>
      </div>
      <span className="row">
        {fault.is_active && (
          <Link to="/incidents" className="link nowrap">
            Show incidents
          </Link>
        )}
        {fault.is_active ? (
          <Guarded
            permission="demo.write"
            busy={busy}
            label={`Revert: ${fault.title}`}
            onClick={() => void act(undoFault(fault.fault), `${fault.title}: reverted`)}
          >
            Revert
          </Guarded>
        ) : (
          <Guarded
            permission="demo.write"
            busy={busy}
            label={`Trigger: ${fault.title}`}
            onClick={() => void act(triggerFault(fault.fault), `${fault.title}: triggered; watch the Now page`)}
          >
            Trigger
          </Guarded>
        )}
      </span>
    </div>
  );
}
