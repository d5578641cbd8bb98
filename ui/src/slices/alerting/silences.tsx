/** Silences in force, each with its end and the way to end it now. */
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { endSilence, silencesQuery } from '@/api/alerting';
import { Guarded } from '@/parts/action';
import { Ago } from '@/parts/ago';
import { Card } from '@/parts/card';
import { Empty, Shown } from '@/parts/states';
import { StatusBadge } from '@/parts/status';
import { complain, say } from '@/parts/toast';
import { showMatchers } from './matchers';

export function Silences() {
  const silences = useQuery(silencesQuery);
  const queries = useQueryClient();
  const end = async (id: string) => {
    try {
      await endSilence(id);
      say('The silence has ended');
    } catch (error) {
      complain(error, 'Not ended');
    }
    void queries.invalidateQueries({ queryKey: ['silences'] });
    void queries.invalidateQueries({ queryKey: ['alerts'] });
  };
  const current = (silences.data?.items ?? []).filter((s) => s.phase !== 'expired');
  return (
    <Card title="Silences" aside={current.length > 0 ? `${current.length} in force` : undefined} flush>
      <Shown
        query={silences}
        what="Silences"
        empty={{
          when: () => current.length === 0,
          show: <Empty title="No silence is in force">Press s to silence what is known and in hand.</Empty>,
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
                    {silence.comment} · {silence.created_by_name} · ends <Ago at={silence.ends_at} />
                  </div>
                </div>
                <Guarded permission="silences.write" onClick={() => void end(silence.id)}>
                  End now
                </Guarded>
              </div>
            ))}
          </>
        )}
      </Shown>
    </Card>
  );
}
