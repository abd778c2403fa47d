{% macro note_builder() -%}
    {%- if execute and flags.WHICH in ('build', 'run', 'seed', 'clone', 'retry') -%}
        {%- set builder = env_var('RETAIL_RUN_ID', 'dbt ' ~ invocation_id) -%}
        alter database {{ target.schema }}
        set dbproperties ('built_by' = {{ text_literal(builder) }})
    {%- endif -%}
{%- endmacro %}
