/** Active silences, each with its end and the way to end it now. */
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { changeSilence, endSilence, type Silence, silencesQuery } from '@/api/alerting';
import { Guarded } from '@/parts/action';
import { Ago } from '@/parts/ago';
import { Card } from '@/parts/card';
import { Empty, Shown } from '@/parts/states';
import { StatusBadge } from '@/parts/status';
import { later } from '@/parts/time';
import { complain, say } from '@/parts/toast';
import { showMatchers } from './matchers';

export function Silences({ add }: { add: () => void }) {
  const silences = useQuery(silencesQuery);
  const queries = useQueryClient();
  const end = async (id: string) => {
    try {
      await endSilence(id);
      say('Silence ended');
    } catch (error) {
      complain(error, 'Silence not ended');
    }
    void queries.invalidateQueries({ queryKey: ['silences'] });
    void queries.invalidateQueries({ queryKey: ['alerts'] });
  };
  const extend = async (silence: Silence) => {
    try {
      await changeSilence(silence, { ends_at: later(silence.ends_at) });
      say('Extended by one hour');
    } catch (error) {
      complain(error, 'Not changed');
    }
    void queries.invalidateQueries({ queryKey: ['silences'] });
  };
  const current = (silences.data?.items ?? []).filter((s) => s.phase !== 'expired');
  return (
    <Card
      title="Silences"
      flush
      aside={
        <span className="row">
          {current.length > 0 && <span>{current.length} active</span>}
          <Guarded permission="silences.write" onClick={add} label="Add silence">
            Add
          </Guarded>
        </span>
      }
    >
      <Shown
        query={silences}
        what="Silences"
        empty={{
          when: () => current.length === 0,
          show: (
            <Empty title="No active silences">
              A silence mutes known alerts: they open no incident until it expires.
            </Empty>
          ),
        }}
      >
        {() => (
          <>
            {current.map((silence) => (
              <div className="line" key={silence.id}>
                <div style={{ minWidth: 0 }}>
                  <StatusBadge status="maintenance">
                    <span className="mono break" style={{ whiteSpace: 'normal' }}>
                      {showMatchers(silence.matchers)}
                    </span>
                  </StatusBadge>
                  <div className="muted break">
                    {silence.comment} · {silence.created_by_name} · {silence.phase === 'pending' ? 'starts' : 'ends'}{' '}
                    <Ago at={silence.phase === 'pending' ? silence.starts_at : silence.ends_at} />
                  </div>
                </div>
                <span className="row wrap" style={{ justifyContent: 'flex-end' }}>
                  <Guarded permission="silences.write" tone="quiet" onClick={() => void extend(silence)}>
                    + 1 h
                  </Guarded>
                  <Guarded permission="silences.write" onClick={() => void end(silence.id)}>
                    End now
                  </Guarded>
                </span>
              </div>
            ))}
          </>
        )}
      </Shown>
    </Card>
  );
}
