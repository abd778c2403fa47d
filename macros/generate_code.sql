{% macro generate_code() -%}
    {%- if execute and env_var('RETAIL_WORK_SIZE', 'large') == 'increment' -%}
        set spark.sql.codegen.factoryMode = FALLBACK
    {%- endif -%}
{%- endmacro %}
