/** What a new runbook begins with. */
export const EXAMPLE = `name: restart-service
description: Restart a service and wait until it runs
risk: low
inputs:
  - name: service
    type: text
    description: Unit to restart
targets: kind=host name=web-*
steps:
  - name: Look at it
    command: [systemctl, status, "{{ service }}"]
    ignore_errors: true
  - name: Restart it
    service:
      name: "{{ service }}"
      action: restart
`;
