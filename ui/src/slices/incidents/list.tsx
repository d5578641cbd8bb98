/** Incidents: open ones first, the past below a filter, and how fast they were answered. */
import { SegmentedControl, Select } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { incidentStatsQuery, incidentsQuery } from '@/api/incidents';
import { Guarded } from '@/parts/action';
import { Card, Headline } from '@/parts/card';
import { plural } from '@/parts/number';
import { Empty, Shown } from '@/parts/states';
import { span } from '@/parts/time';
import { useParam } from '@/parts/url';
import { byImpact } from './answer';
import { DeclareDialog, SEV_DATA } from './declare';
import { IncidentRows } from './rows';

const STATES = [
  { value: 'open', label: 'Open' },
  { value: 'resolved', label: 'Resolved' },
  { value: 'all', label: 'All' },
];

export function Incidents() {
  const [state, setState] = useParam('state', 'open');
  const [severity, setSeverity] = useParam('severity');
  const [declaring, setDeclaring] = useParam('declare');
  const filter = { state: state === 'all' ? undefined : state, severity: severity || undefined, limit: 100 };
  const incidents = useQuery(incidentsQuery(filter));
  const open = useQuery(incidentsQuery({ state: 'open', limit: 200 }));
  const stats = useQuery(incidentStatsQuery).data;
  const count = open.data?.items.length;
  const unheld = open.data?.items.filter((i) => i.state === 'triggered').length ?? 0;
  return (
    <>
      <Headline
        tab="Incidents"
        title={
          count === undefined
            ? 'Incidents'
            : count === 0
              ? 'No open incidents'
              : `${plural(count, 'open incident')}${unheld > 0 ? `, ${unheld} unacknowledged` : ', all acknowledged'}`
        }
        lede={
          stats && (stats.mtta_s || stats.mttr_s)
            ? `MTTA ${stats.mtta_s ? span(stats.mtta_s) : '–'}, MTTR ${stats.mttr_s ? span(stats.mttr_s) : '–'}.`
            : 'Related alerts are grouped into one incident. It resolves when the last of them resolves.'
        }
        actions={
          <Guarded permission="incidents.write" onClick={() => setDeclaring('yes')}>
            Declare incident
          </Guarded>
        }
      />
      <div className="row wrap below">
        <SegmentedControl size="xs" aria-label="State" data={STATES} value={state} onChange={setState} />
        <Select
          size="xs"
          aria-label="Severity"
          placeholder="Any severity"
          data={SEV_DATA}
          value={severity || null}
          onChange={(v) => setSeverity(v ?? '')}
          clearable
          allowDeselect
          w={160}
        />
      </div>
      <div className="below">
        <Card
          title={STATES.find((s) => s.value === state)?.label ?? 'Incidents'}
          flush
          aside={
            <span className="hide-s">
              acknowledge <kbd>e</kbd> · assign to me <kbd>a</kbd> · open <kbd>↵</kbd>
            </span>
          }
        >
          <Shown
            query={incidents}
            what="Incidents"
            rows={5}
            empty={{ when: (p) => p.items.length === 0, show: <None state={state} /> }}
          >
            {(page) => <IncidentRows incidents={state === 'open' ? byImpact(page.items) : page.items} />}
          </Shown>
        </Card>
      </div>
      <DeclareDialog open={declaring !== ''} close={() => setDeclaring('')} />
    </>
  );
}

function None({ state }: { state: string }) {
  return state === 'open' ? (
    <Empty title="No open incidents">New incidents appear here within a second.</Empty>
  ) : (
    <Empty title="No incidents match">Choose another state or severity above.</Empty>
  );
}
