"""What runs beside a step on another machine and keeps its work safe.

Standard library and boto3 only, no assumption about who started the machine:
`python -m maquette.agent --scene DIR … -- maquette-step …`; see docs/containers.md.
"""
