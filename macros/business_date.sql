{% macro business_date() -%}
    {%- set day = env_var('RETAIL_BUSINESS_DATE', '') if execute else '' -%}
    {%- if day == '' -%}
        current_date()
    {%- else -%}
        date'{{ day }}'
    {%- endif -%}
{%- endmacro %}
