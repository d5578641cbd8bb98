/** Starting a run: inputs, the plan as a dry run, then a button that says what it will do. */
import { Checkbox, NumberInput, Select, TextInput } from '@mantine/core';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { type Plan, planRun, type Run, type RunbookInput, runbookQuery, startRun } from '@/api/automation';
import { FormDialog } from './dialog';
import { plural } from './number';
import { Failure, Skeleton } from './states';
import { StatusBadge } from './status';
import { say } from './toast';

export interface RunDialogProps {
  runbook: string;
  name: string;
  incident?: string;
  /** A selector that takes the place of the runbook's own. */
  targets?: string;
  close: () => void;
  started?: (run: Run) => void;
}

export function RunDialog({ runbook, name, incident, targets, close, started }: RunDialogProps) {
  const book = useQuery(runbookQuery(runbook));
  const queries = useQueryClient();
  const [inputs, setInputs] = useState<Record<string, unknown>>({});
  const [selector, setSelector] = useState(targets ?? '');
  const input = { inputs, targets: selector || undefined, incident };
  const plan = useQuery({
    queryKey: ['runbooks', 'plan', runbook, inputs, selector, incident],
    queryFn: () => planRun(runbook, input),
    enabled: book.data !== undefined,
    retry: false,
    staleTime: 0,
  });
  const hosts = plan.data?.targets.length ?? 0;
  return (
    <FormDialog
      title={`Run ${name}`}
      open
      close={close}
      size={600}
      verb={plan.data && hosts > 0 ? `Run on ${plural(hosts, 'host')}` : 'Run'}
      refusal={plan.isError ? 'The plan has faults; see above.' : plan.data ? null : 'Wait for the plan.'}
      submit={async () => {
        const run = await startRun(runbook, input);
        void queries.invalidateQueries({ queryKey: ['runs'] });
        say(run.state === 'waiting' ? 'The run waits for approval' : 'The run has started');
        started?.(run);
      }}
    >
      {(fault) => (
        <>
          {(book.data?.inputs ?? []).map((field) => (
            <InputField
              key={field.name}
              field={field}
              value={inputs[field.name] ?? field.default}
              set={(v) => setInputs({ ...inputs, [field.name]: v })}
              error={fault(`inputs.${field.name}`)}
            />
          ))}
          <TextInput
            label="Targets"
            description="A selector; empty takes the runbook's own."
            placeholder="kind=host name=web-*"
            value={selector}
            onChange={(e) => setSelector(e.currentTarget.value)}
            error={fault('targets')}
          />
          {plan.isError ? (
            <Failure error={plan.error} what="The plan" retry={() => void plan.refetch()} />
          ) : plan.data ? (
            <PlanView plan={plan.data} />
          ) : (
            <Skeleton rows={2} />
          )}
        </>
      )}
    </FormDialog>
  );
}

function InputField({
  field,
  value,
  set,
  error,
}: {
  field: RunbookInput;
  value: unknown;
  set: (value: unknown) => void;
  error?: string;
}) {
  const shared = { label: field.name, description: field.description || undefined, required: field.required, error };
  if (field.type === 'boolean')
    return (
      <Checkbox
        label={field.description || field.name}
        checked={value === true}
        onChange={(e) => set(e.currentTarget.checked)}
      />
    );
  if (field.type === 'number')
    return (
      <NumberInput
        {...shared}
        value={typeof value === 'number' ? value : ''}
        onChange={(v) => set(typeof v === 'number' ? v : undefined)}
      />
    );
  if (field.type === 'choice')
    return <Select {...shared} data={field.choices ?? []} value={(value as string) ?? null} onChange={set} />;
  return (
    <TextInput
      {...shared}
      value={value === undefined || value === null ? '' : String(value)}
      onChange={(e) => set(e.currentTarget.value)}
    />
  );
}

/** What a run would do: steps, and machines by number and name. */
export function PlanView({ plan }: { plan: Plan }) {
  return (
    <section className="card" aria-label="Dry run">
      <header>
        <h3>Dry run</h3>
        <StatusBadge status={plan.risk === 'high' ? 'critical' : plan.risk === 'medium' ? 'warning' : 'ok'}>
          risk {plan.risk}
        </StatusBadge>
      </header>
      <div className="line">
        <span className="muted">Targets</span>
        <span className="right break">
          {plan.targets.length === 0
            ? 'none match'
            : `${plural(plan.targets.length, 'host')}: ${plan.targets
                .slice(0, 6)
                .map((t) => t.name)
                .join(', ')}${plan.targets.length > 6 ? ', …' : ''}`}
        </span>
      </div>
      <ol style={{ listStyle: 'none' }}>
        {plan.steps.map((step, i) => (
          <li className="line" key={`${step.name}-${i}`}>
            <span style={{ minWidth: 0 }}>
              <span className="faint num">{i + 1}</span> <b>{step.name}</b>
              <div className="mono muted break">{step.detail || step.action}</div>
            </span>
            <span className="faint nowrap">{step.action}</span>
          </li>
        ))}
      </ol>
      {plan.warnings.map((warning) => (
        <div className="line" key={warning}>
          <StatusBadge status="warning">{warning}</StatusBadge>
        </div>
      ))}
    </section>
  );
}
