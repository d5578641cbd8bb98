/** Steps by targets at one look. */
import type { Run, RunTask } from '@/api/automation';
import { Card } from '@/parts/card';
import { plural } from '@/parts/number';
import { ofRun, StatusBadge } from '@/parts/status';

export function Matrix({ run }: { run: Run }) {
  const newest = new Map<string, RunTask>();
  for (const task of run.tasks) newest.set(`${task.step}/${task.item_id}`, task);
  return (
    <Card title="Targets" aside={plural(run.targets.length, 'target')} flush>
      <div className="scroll" style={{ maxHeight: 420, overflow: 'auto' }}>
        <table className="t" aria-label="Steps by targets">
          <thead>
            <tr>
              <th scope="col">Target</th>
              {run.steps.map((step, i) => (
                <th scope="col" key={`${step.name}-${i}`}>
                  {step.name}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {run.targets.map((target) => (
              <tr key={target.item_id}>
                <td>
                  <b>{target.name}</b>
                </td>
                {run.steps.map((step, i) => {
                  const task = newest.get(`${i}/${target.item_id}`) ?? newest.get(`${i}/`);
                  return (
                    <td key={`${step.name}-${i}`}>
                      {task ? (
                        <StatusBadge status={ofRun(task.state)}>{task.state}</StatusBadge>
                      ) : (
                        <span className="faint">–</span>
                      )}
                    </td>
                  );
                })}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </Card>
  );
}
