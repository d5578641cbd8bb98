/** One alert: labels, the rule, what it said before, and the verbs. */
import { Drawer } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { type Alert, alertQuery } from '@/api/alerting';
import { Guarded } from '@/parts/action';
import { Ago } from '@/parts/ago';
import { Chips } from '@/parts/card';
import { plain } from '@/parts/number';
import { Shown } from '@/parts/states';
import { ofSeverity, StatusBadge } from '@/parts/status';
import { Timeline } from '@/parts/timeline';
import { pendingWords, titleOf } from './pending';
import { seenBy } from './seenBy';

const quoted = (alert: Alert) =>
  [
    `alertname=${JSON.stringify(alert.name)}`,
    ...(alert.labels.instance ? [`instance=${JSON.stringify(alert.labels.instance)}`] : []),
  ].join(',');

export function AlertDrawer({
  id,
  close,
  silence,
}: {
  id: string;
  close: () => void;
  silence: (matchers: string) => void;
}) {
  const query = useQuery({ ...alertQuery(id), enabled: id !== '' });
  return (
    <Drawer
      opened={id !== ''}
      onClose={close}
      position="right"
      size={440}
      title="Alert"
      closeButtonProps={{ 'aria-label': 'Close' }}
    >
      <Shown query={query} what="The alert">
        {({ alert, history, episodes }) => (
          <>
            <div style={{ padding: '14px 16px', display: 'grid', gap: 10 }}>
              <h3 style={{ fontSize: 16 }} className="break">
                {titleOf(alert)}
              </h3>
              <div className="facts" style={{ marginTop: 0 }}>
                <StatusBadge status={alert.state === 'resolved' ? 'ok' : ofSeverity(alert.severity)} pill>
                  {alert.state}
                </StatusBadge>
                <span>
                  since <Ago at={alert.active_since} />
                </span>
                {alert.value !== null && (
                  <span>
                    value <b className="num">{plain(alert.value)}</b>
                  </span>
                )}
              </div>
              {alert.state === 'pending' && <p className="muted break">Not firing: {pendingWords(alert)}.</p>}
              {alert.annotations.description && alert.state !== 'pending' && (
                <p className="muted break">{alert.annotations.description}</p>
              )}
              <Chips values={Object.entries(alert.labels).map(([k, v]) => `${k}=${v}`)} />
              <div className="row">
                <Guarded permission="silences.write" onClick={() => silence(quoted(alert))}>
                  Silence…
                </Guarded>
                {alert.item_id && (
                  <Link to="/items/$id" params={{ id: alert.item_id }} className="link">
                    Open item
                  </Link>
                )}
              </div>
            </div>
            <div className="line">
              <span className="muted">Source</span>
              <span className="break right">{seenBy(alert)}</span>
            </div>
            {episodes.length > 0 && (
              <div className="line">
                <span className="muted">Earlier occurrences</span>
                <span>{episodes.length}</span>
              </div>
            )}
            <h3 style={{ padding: '14px 16px 4px' }}>Timeline</h3>
            <div style={{ padding: '0 16px 16px' }}>
              <Timeline events={[...history].reverse()} />
            </div>
          </>
        )}
      </Shown>
    </Drawer>
  );
}
