/** One change: the plan, its targets, who decided, and its story. */
import { Drawer } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import type { Change } from '@/api/change';
import { eventsQuery } from '@/api/events';
import { Guarded } from '@/parts/action';
import { Moment } from '@/parts/ago';
import { Chips } from '@/parts/card';
import { CopyButton } from '@/parts/copy';
import { Shown } from '@/parts/states';
import { ofRun, StatusBadge } from '@/parts/status';
import { Timeline } from '@/parts/timeline';

export function ChangeDrawer({
  change,
  close,
  decide,
}: {
  change: Change | null;
  close: () => void;
  decide: (approve: boolean) => void;
}) {
  const events = useQuery({ ...eventsQuery({ subject: change?.id ?? '', limit: 50 }), enabled: change !== null });
  return (
    <Drawer
      opened={change !== null}
      onClose={close}
      position="right"
      size={440}
      title="Change"
      closeButtonProps={{ 'aria-label': 'Close' }}
    >
      {change && (
        <>
          <div style={{ padding: '14px 16px', display: 'grid', gap: 10 }}>
            <h3 style={{ fontSize: 16 }} className="break">
              {change.title}
            </h3>
            <div className="facts" style={{ marginTop: 0 }}>
              <StatusBadge status={ofRun(change.state)} pill>
                {change.state}
              </StatusBadge>
              <span>risk {change.risk}</span>
              <span>by {change.source}</span>
            </div>
            <p className="break">{change.plan_summary}</p>
            {change.reason && <p className="muted break">{change.reason}</p>}
            <Chips values={change.targets.map((t) => t.name)} />
            {change.state === 'requested' && (
              <div className="row">
                <Guarded permission="changes.approve" onClick={() => decide(false)}>
                  Reject…
                </Guarded>
                <Guarded permission="changes.approve" tone="primary" onClick={() => decide(true)}>
                  Approve…
                </Guarded>
              </div>
            )}
          </div>
          <div className="line">
            <span className="muted">Requested</span>
            <span>
              {change.requested_by_name}, <Moment at={change.requested_at} />
            </span>
          </div>
          {change.decided_at && (
            <div className="line">
              <span className="muted">Decided</span>
              <span className="right">
                {change.decided_by_name}, <Moment at={change.decided_at} />
                {change.decision_note && <div className="muted break">{change.decision_note}</div>}
              </span>
            </div>
          )}
          <div className="line">
            <span className="muted">Plan</span>
            <span className="row">
              <span className="mono">{change.plan_hash.slice(0, 16)}</span>
              <CopyButton value={change.plan_hash} label="Copy the hash of the plan" />
            </span>
          </div>
          <h3 style={{ padding: '14px 16px 4px' }}>Timeline</h3>
          <Shown query={events} what="The timeline">
            {(page) => (
              <div style={{ padding: '0 16px 16px' }}>
                <Timeline events={[...page.items].reverse()} />
              </div>
            )}
          </Shown>
        </>
      )}
    </Drawer>
  );
}
