{% macro batches_in_scope() %}
    {%- set batches = [] -%}
    {%- if execute -%}
        {%- for text in env_var('RETAIL_BATCH_IDS', '').split(',') if text | trim -%}
            {%- if not (text | trim).isdecimal() -%}
                {{ exceptions.raise_compiler_error(
                    "RETAIL_BATCH_IDS: '" ~ text
                    ~ "' is no batch; expected numbers, such as 3,5"
                ) }}
            {%- endif -%}
            {%- do batches.append(text | int) -%}
        {%- endfor -%}
    {%- endif -%}
    {{ return(batches) }}
{% endmacro %}
